"""LoRA adapters (arXiv:2106.09685) as PEFT writes them: a low-rank update of some weights each."""
