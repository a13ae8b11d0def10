"""Which keys cosmos-rl knows, by release: for saying what a key in a file is, or was meant to be."""

import difflib
from collections.abc import Mapping
from typing import Literal

Version = Literal["0.2.6", "0.4.4"]
PIN: Version = "0.2.6"
HEAD: Version = "0.4.4"

_DATASET = "name subset revision split test_size"
_REWARD = "reward_function"
_PARALLEL = (
    "n_init_replicas tp_size cp_size ep_size dp_shard_size pp_size pp_dynamic_shape "
    "pp_micro_batch_size dp_replicate_size"
)
_BOTH = {
    "": "redis eth_ips",
    "train": "resume epoch output_dir timestamp epsilon optm_name optm_lr optm_impl "
    "optm_weight_decay optm_betas optm_warmup_steps optm_grad_norm_clip max_num_steps "
    "async_tp_enabled compile master_dtype param_dtype fsdp_reduce_dtype fsdp_offload "
    "fsdp_reshard_after_forward train_batch_per_replica sync_weight_interval",
    "train.fp8": "enable_fp8 fp8_recipe quant_recipe",
    "train.ckpt": "enable_checkpoint save_freq save_mode max_keep export_safetensors upload_hf "
    "hf_repo_name upload_s3 s3_bucket s3_prefix",
    "train.train_policy": "type mini_batch dataloader_shuffle enable_dataset_cache "
    "dataloader_num_workers dataloader_prefetch_factor conversation_column_name system_prompt "
    "variant prompt_column_name response_column_name reward_function temperature epsilon_low "
    "epsilon_high lower_bound_ratio loss_type unbiased_loss_max_tokens unbiased_advantage kl_beta "
    "aipo_rho mu_iterations allowed_outdated_steps min_filter_prefix_tokens",
    "train.train_policy.dataset": _DATASET,
    "train.train_policy.overlong_reward": "enable_overlong_penalty buffer_length penalty_factor",
    "policy": "model_name_or_path model_max_length model_gradient_checkpointing",
    "policy.parallelism": _PARALLEL,
    "rollout": "enforce_eager include_stop_str_in_output gpu_memory_utilization "
    "enable_chunked_prefill max_response_length n_generation batch_size quantization seed "
    "vllm_use_flashinfer",
    "rollout.parallelism": _PARALLEL,
    "rollout.sampling_config": "temperature top_p top_k repetition_penalty use_flashinfer",
    "validation": f"temperature top_p top_k repetition_penalty n_generation max_response_length {_REWARD}",
    "validation.dataset": _DATASET,
    "logging": "logger project_name experiment_name report_mfu",
    "profiler": "enable_profiler enable_nsys",
    "profiler.sub_profiler_config": "do_profile active_steps warmup_steps wait_steps rank_filter "
    "record_shape profile_memory with_stack with_modules",
}
_PIN_ONLY = {
    "train": "enable_validation validation_step validation_batch_per_replica",
    "rollout": "val_batch_size",
}
_HEAD_ONLY = {
    "": "mode",
    "train": "optm_warmup_start_factor optm_decay_ratio optm_decay_type optm_min_lr_factor "
    "ema_enable ema_decay ema_update_step_interval transfer_dtype logprob_dtype "
    "coalesce_weight_sync deterministic activation_offload fa_version seed local_dataset "
    "force_use_hf non_text sequence_packing save_ckpt_at_exit signal_to_handle",
    "train.fp4": "enable_fp4 fp4_recipe quant_recipe",
    "train.ckpt": "save_freq_in_epoch",
    "train.train_policy": "trainer_type dataloader_seed dataloader_batch_size "
    "dataloader_drop_last data_dispatch_as_rank_in_mesh balance_dp_token enable_dp_load_balancing "
    "load_balanced_pool_size load_balanced_max_tokens_for_batch load_balanced_batching_strategy "
    "load_balanced_batches_per_optimizer_step dataloader_broadcast use_remote_reward "
    "filter_reward_metric bypass_reward group_reward_calculation advantage_low advantage_high "
    "positive_nll_coef algo unbiased_kl_estimate off_policy_masking_delta batch_size_per_optimize "
    "max_token_len_per_mini_batch entropy_coeff on_policy uncentralized_training "
    "outdated_rollout_fetch_batch_size max_inflight_steps max_retry_for_on_policy "
    "reference_reset_interval reset_optimizer_with_reference use_decoupled_loss "
    "behav_imp_weight_cap rollout_as_token_ids collect_rollout_logprobs "
    "use_rollout_logprobs_for_loss",
    "train.train_policy.dataset": "local_dir",
    "policy": "is_diffusers model_safetensor_path model_revision trainable_map freeze_pattern "
    "trainable_pattern enable_liger_kernel enable_liger_cross_entropy "
    "enable_liger_fused_cross_entropy aux_loss_coeff",
    "policy.lora": "r lora_names lora_path lora_alpha lora_dropout target_modules primary_adapter "
    "use_rslora modules_to_save alpha_pattern r_pattern init_lora_weights",
    "policy.parallelism": "pp_schedule pp_layers_per_stage",
    "rollout": "n_generation_to_batch n_generation_mini_batch backend mode async_r2r_sync "
    "prefetch_rollout prefetch_queue_maxsize broadcast_all_params",
    "rollout.parallelism": "pp_schedule pp_layers_per_stage",
    "validation": "enable val_before_train freq batch_size use_remote_reward",
    "validation.dataset": "local_dir",
    "logging": "log_interval multi_modal_log_interval group_name",
    "distillation": "enable model_name_or_path",
}
_SCRIPT = {  # read by the recipes' entry scripts, not by cosmos-rl itself
    "custom.dataset": "path",
    "custom.vision": "resized_height resized_width min_pixels max_pixels total_pixels video_start "
    "video_end nframes fps min_frames max_frames",
}
NEVER = {
    "policy.parallelism.cp_rotate_method": "no release of cosmos-rl ever had this key",
    "rollout.parallelism.cp_rotate_method": "no release of cosmos-rl ever had this key",
    "train.eval_steps": "no release of cosmos-rl ever had this key; validation_step (0.2.6) or "
    "validation.freq (0.4.4) may be meant",
}
"""Keys in published configurations that never did anything."""
LEAVES = frozenset(
    (
        "train.optm_lr",
        "train.train_policy.reward_function",
        "train.train_policy.remote_reward",
        "validation.reward_function",
        "validation.remote_reward",
        "policy.trainable_map",
        "policy.lora.alpha_pattern",
        "policy.lora.r_pattern",
    )
)
"""Keys whose value may be a table itself."""


def _dotted(tables: Mapping[str, str]) -> frozenset[str]:
    return frozenset(
        f"{table}.{name}" if table else name
        for table, names in tables.items()
        for name in names.split()
    )


PIN_ONLY = _dotted(_PIN_ONLY)
HEAD_ONLY = _dotted(_HEAD_ONLY)
KNOWN = _dotted(_BOTH) | PIN_ONLY | HEAD_ONLY | _dotted(_SCRIPT)


def nearest(key: str) -> str | None:
    """The known key that a wrong one was probably meant to be, or None."""
    found = difflib.get_close_matches(key, sorted(KNOWN), n=1, cutoff=0.6)
    if found:
        return found[0]
    last = key.rpartition(".")[2]
    same = sorted(known for known in KNOWN if known.rpartition(".")[2] == last)
    return same[0] if same else None


def release_of(keys: frozenset[str]) -> Version:
    """The release that a file is for: 0.4.4 where it has more keys of that one alone, else 0.2.6."""
    return HEAD if len(keys & HEAD_ONLY) > len(keys & PIN_ONLY) else PIN
