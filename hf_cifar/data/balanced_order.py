"""An order of the training images in which every class comes equally often."""

import torch


def balanced_order(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return as many indices as there are images, in which the classes differ by one at most.

    A class with fewer images than its share goes through all of them before it repeats any; one with more gives a
    random part. So the numbers of a class do not vary as they do where each image is drawn by its probability.

    Args:
        labels: int64 [n], of the images.
        generator: of every draw.

    Returns:
        int64 [n]: i + r n is the r-th repetition of image i, from 0.
    """
    classes, total = labels.unique(), len(labels)
    share, rest = divmod(total, len(classes))
    one_more = set(torch.randperm(len(classes), generator=generator)[:rest].tolist())
    drawn = []
    for number, label in enumerate(classes):
        members = (labels == label).nonzero().flatten()
        wanted = share + (number in one_more)
        rounds = [
            members[torch.randperm(len(members), generator=generator)] + repetition * total
            for repetition in range(-(-wanted // len(members)))
        ]
        drawn.append(torch.cat(rounds)[:wanted] if rounds else members[:0])
    return torch.cat(drawn)[torch.randperm(total, generator=generator)]
