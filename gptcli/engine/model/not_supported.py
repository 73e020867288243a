"""Kinds of models that people may bring and that do not run: model_type in config.json → why."""

from __future__ import annotations

_ENCODER = "it reads a text as a whole and does not continue it"
_PAIR = "one half of it reads a text, the other writes another"
_MASKED = "it fills in what is left open, in any order, in place of the next token"
_INDEXED = "a second, small attention chooses which tokens attention sees"
_PARTS = "its parts run, but nobody has put them together here"
_CODE = "its maths is code in its repository, which is not run"
_FIRST = "it has layers of Mamba's first kind, where each feature fades by itself"
_IMAGES = "some layers attend to images alone"

#: Names → why they are not supported, in the words of a line that users read.
NOT_SUPPORTED: dict[str, str] = {
    "apertus": "its MLPs bend by xIELU, whose numbers are learned",
    "bitnet": "its weights are of three values, with norms inside attention and MLP",
    "dbrx": "its queries, keys and values are cut off at a limit",
    "diffllama": "its attention is the difference of two",
    "jetmoe": "its attention is a mixture of experts, too",
    "kimi_linear": "its memories fade feature by feature (Kimi Delta Attention)",
    "longcat_flash": "it has experts that compute nothing, and two attentions in a layer",
    "minimax": "it has layers with lightning attention",
    "olmo_hybrid": "its delta rule also takes away (negative eigenvalues)",
    "phimoe": "its two experts are chosen one after the other (sparse mixer)",
    "recurrent_gemma": "it has layers with a gated linear recurrence (RG-LRU)",
    "xlstm": "its layers are LSTMs",
    **dict.fromkeys(
        ("gemma3n", "gemma3n_text"),
        "it keeps several streams at once (AltUp), of which each layer predicts and corrects all",
    ),
    **dict.fromkeys(("rwkv", "rwkv5", "rwkv6", "rwkv7"), "its layers mix tokens by time (RWKV)"),
    **dict.fromkeys(("zamba", "zamba2"), "layers share one block of attention, changed for each"),
    **dict.fromkeys(("falcon_mamba", "jamba", "mamba"), _FIRST),
    **dict.fromkeys(("deepseek_v32", "deepseek_v4", "glm_moe_dsa"), _INDEXED),
    **dict.fromkeys(("qwen4_exp", "qwen4_exp_text"), _INDEXED),
    **dict.fromkeys(("mllama", "mllama_text_model"), _IMAGES),
    **dict.fromkeys(("dots1", "hunyuan_v1_moe", "granitemoeshared", "mamba2"), _PARTS),
    **dict.fromkeys(("Dream", "diffusion_gemma", "llada"), _MASKED),
    **dict.fromkeys(("baichuan", "chatglm", "deepseek", "internlm2", "openelm", "qwen"), _CODE),
    **dict.fromkeys(
        ("albert", "bert", "deberta-v2", "distilbert", "electra", "eurobert", "modernbert"),
        _ENCODER,
    ),
    **dict.fromkeys(("mpnet", "nomic_bert", "roberta", "xlm-roberta"), _ENCODER),
    **dict.fromkeys(
        ("bart", "m2m_100", "marian", "mbart", "mt5", "pegasus", "t5", "t5gemma", "umt5"), _PAIR
    ),
}


def reasons() -> dict[str, tuple[str, ...]]:
    """Why → the names that it holds for, in the order of the first of them."""
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(NOT_SUPPORTED, key=str.lower):
        found[NOT_SUPPORTED[name]] = (*found.get(NOT_SUPPORTED[name], ()), name)
    return found
