"""The fields of generation_config.json: what of it is obeyed, refused, and left out on purpose.

As transformers has them:
https://huggingface.co/docs/transformers/main_classes/text_generation#transformers.GenerationConfig
"""

from __future__ import annotations

#: Names for what a user can set, too.
SAMPLING = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
    "typical_p": "typical_p",
    # Of llama.cpp's own, which its converter takes from here, and a GGUF file brings.
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
}
WHOLE = {"top_k"}
#: With this value they say nothing; None: whatever it is, it says nothing by itself.
IDLE = {"typical_p": 1, "xtc_probability": 0, "xtc_threshold": None}
#: Rules for drawing that only a model's files make.
RULES = (
    *("suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "sequence_bias"),
    *("encoder_repetition_penalty", "no_repeat_ngram_size", "min_length", "min_new_tokens"),
    "exponential_decay_length_penalty",
)
OTHERS = ("do_sample", "eos_token_id", "stop_strings")
#: What would change the text, and is not done here; with these values it changes nothing.
REFUSED: dict[str, tuple[object, ...]] = {
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "top_h": (1,),
    "guidance_scale": (1,),
    "num_beams": (0, 1),
    "num_beam_groups": (0, 1),
    "diversity_penalty": (0,),
    "penalty_alpha": (0,),
    "dola_layers": (),
    "constraints": ([],),
    "force_words_ids": ([],),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "force_bos_token_to_be_generated": (False,),
    "encoder_no_repeat_ngram_size": (0,),
    "watermarking_config": ({},),
    "token_healing": (False,),
    # Of llama.cpp's own, as above.
    "mirostat": (0,),
}
#: Of those, what only filters the draw: where the most probable token is taken it has no effect.
FILTERS = frozenset(("epsilon_cutoff", "eta_cutoff", "top_h"))
#: Of those, ways to find the next tokens, in place of which a user can name another.
WAYS = FILTERS | {"num_beams", "num_beam_groups", "diversity_penalty", "penalty_alpha"}
WAYS |= {"dola_layers", "mirostat"}
#: How long, how fast and in which form: for whoever calls, and -n says how long here.
LEFT_OUT = frozenset(
    (
        *("max_length", "max_new_tokens", "max_time", "early_stopping", "length_penalty"),
        *("renormalize_logits", "remove_invalid_values", "num_return_sequences", "use_cache"),
        *("cache_implementation", "cache_config", "max_cache_len", "return_legacy_cache"),
        *("output_attentions", "output_hidden_states", "output_scores", "output_logits"),
        *("return_dict_in_generate", "return_dict", "bos_token_id", "pad_token_id"),
        *("decoder_start_token_id", "is_assistant", "num_assistant_tokens"),
        *("num_assistant_tokens_schedule", "assistant_confidence_threshold"),
        *("prompt_lookup_num_tokens", "max_matching_ngram_size", "assistant_early_exit"),
        *("assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight"),
        *("speculation_type", "use_mtp", "compile_config", "disable_compile", "low_memory"),
        *("prefill_chunk_size", "continuous_batching_config", "transformers_version"),
        *("trust_remote_code", "chat_format", "max_window_size", "user_token_id"),
        *("assistant_token_id", "sep_token_id", "cls_token_id", "unk_token_id"),
        *("mask_token_id", "generation_kwargs"),
        # What these ask for is refused above, where it is on.
        *("mirostat_tau", "mirostat_eta"),
    )
)
