"""Where the demo page is served."""

from dataclasses import dataclass

from hf_cifar.config.fields import between, option


@dataclass
class DemoConfig:
    """Where the demo page is served."""

    host: str = option(
        "127.0.0.1",
        "address that the page is served at: 127.0.0.1 is seen from this machine only, 0.0.0.0 from the whole network",
        metavar="ADDRESS",
    )
    port: int = option(7860, "port that the page is served at; 0: any that is free", range=between(0, 65535))
