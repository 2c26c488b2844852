"""What a model card cites."""

from hf_cifar.hub.card.data import DIGITS, CardData

LPFT = """@inproceedings{kumar2022finetuning,
  title     = {Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution},
  author    = {Kumar, Ananya and Raghunathan, Aditi and Jones, Robbie and Ma, Tengyu and Liang, Percy},
  booktitle = {International Conference on Learning Representations},
  year      = {2022},
  url       = {https://arxiv.org/abs/2202.10054}
}"""
RESNET = """@inproceedings{he2016deep,
  title     = {Deep Residual Learning for Image Recognition},
  author    = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  year      = {2016},
  url       = {https://arxiv.org/abs/1512.03385}
}"""
VIT = """@inproceedings{dosovitskiy2021image,
  title     = {An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale},
  author    = {Dosovitskiy, Alexey and Beyer, Lucas and Kolesnikov, Alexander and Weissenborn, Dirk and Zhai, Xiaohua
               and Unterthiner, Thomas and Dehghani, Mostafa and Minderer, Matthias and Heigold, Georg
               and Gelly, Sylvain and Uszkoreit, Jakob and Houlsby, Neil},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  url       = {https://arxiv.org/abs/2010.11929}
}"""
CIFAR10 = """@techreport{krizhevsky2009learning,
  title       = {Learning Multiple Layers of Features from Tiny Images},
  author      = {Krizhevsky, Alex},
  institution = {University of Toronto},
  year        = {2009}
}"""
UCI_DIGITS = """@misc{alpaydin1998optical,
  title     = {Optical Recognition of Handwritten Digits},
  author    = {Alpaydin, Ethem and Kaynak, Cenk},
  publisher = {UCI Machine Learning Repository},
  year      = {1998},
  doi       = {10.24432/C50P49}
}"""
TEMPERATURE = """@inproceedings{guo2017calibration,
  title     = {On Calibration of Modern Neural Networks},
  author    = {Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.},
  booktitle = {International Conference on Machine Learning},
  year      = {2017}
}"""


def citations(data: CardData) -> str:
    """BibTeX of the method, the network, the dataset and the calibration, where they are known."""
    found = {
        LPFT: data.lpft,
        RESNET: data.model_config.get("model_type") == "resnet",
        VIT: data.model_config.get("model_type") == "vit",
        CIFAR10: data.is_cifar10,
        UCI_DIGITS: data.stage.metrics["dataset"]["id"] == DIGITS,
        TEMPERATURE: data.test.get("temperature") is not None,
    }
    return "\n\n".join(entry for entry, cited in found.items() if cited)
