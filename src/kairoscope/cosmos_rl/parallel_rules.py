"""Rules for batches and devices: the global batch stays, whatever it is spread over."""

from kairoscope.cosmos_rl.reading import Became, Reading, Rule, nothing, off, only

RECIPE_GPUS = 8
"""What the recipes were made on; taken where a file leaves the number of ranks open (-1)."""
_P = "policy.parallelism."


def data_ranks(reading: Reading) -> tuple[int, str]:
    """Data-parallel ranks of the file, and where the number comes from."""
    shard = reading.get(f"{_P}dp_shard_size", -1, 1)
    replicas = reading.get(f"{_P}dp_replicate_size", 1) * reading.get(f"{_P}n_init_replicas", 1)
    if shard > 0:
        return shard * replicas, f"{shard * replicas} data-parallel ranks"
    model_ranks = reading.get(f"{_P}tp_size", 2) * reading.get(f"{_P}cp_size", 1)
    model_ranks *= reading.get(f"{_P}pp_size", 1)
    ranks = max(1, RECIPE_GPUS // model_ranks)
    return ranks, f"{ranks} ranks: dp_shard_size leaves it open, {RECIPE_GPUS} GPUs are assumed"


def _batch(reading: Reading, value: int) -> Became:
    if reading.kind == "grpo":
        replicas = reading.get(f"{_P}n_init_replicas", 1)
        why = f"{value} rollouts x {replicas} policy replicas a step, by accumulation"
        return reading.set("rollouts_per_step", value * replicas, why)
    ranks, how = data_ranks(reading)
    why = f"{value} samples x {how}; by accumulation on any number of devices"
    return reading.set("batch_size", value * ranks, why)


def _micro(reading: Reading, value: int) -> Became:
    return reading.set("micro_batch_size", value, "samples a forward pass; changes memory alone")


def _ranks(reading: Reading, _value: int) -> Became:
    own = "the devices of this run are those it is started on"
    if reading.kind == "grpo":
        return Became("no effect", "", f"spreads a step's rollouts; {own}")
    return Became("used", "batch_size", f"part of the global batch; {own}")


def _max_tokens(reading: Reading, value: int) -> Became:
    reading.other["model_max_length"] = value
    why = "a longer sample is listed and left out before the first step, never cut"
    return reading.set("max_tokens", value, why)


def _one(what: str) -> Rule:
    """A way to spread one model over devices, which changes no number."""
    why = f"{what} parallelism is not built; results do not depend on it"
    return Rule(apply=only((1,), "1", why, "warning"), kinds=(int,))


FSDP = "how weights are spread over devices is chosen when the run is started"
RULES: dict[str, Rule] = {
    "train.train_batch_per_replica": Rule(apply=_batch, kinds=(int,), pin=8),
    "train.train_policy.mini_batch": Rule(apply=_micro, kinds=(int,), pin=2),
    f"{_P}dp_shard_size": Rule(apply=_ranks, kinds=(int,)),
    f"{_P}dp_replicate_size": Rule(apply=_ranks, kinds=(int,)),
    f"{_P}n_init_replicas": Rule(apply=_ranks, kinds=(int,)),
    f"{_P}tp_size": _one("tensor"),
    f"{_P}cp_size": _one("context"),
    f"{_P}pp_size": _one("pipeline"),
    f"{_P}ep_size": _one("expert"),
    f"{_P}pp_dynamic_shape": Rule(apply=nothing("no pipeline here"), kinds=(bool,)),
    f"{_P}pp_micro_batch_size": Rule(apply=nothing("no pipeline here"), kinds=(int,)),
    "policy.model_max_length": Rule(apply=_max_tokens, kinds=(int,), pin=4096),
    "train.fsdp_offload": Rule(
        apply=off("keeping weights in the computer's memory is not built", "warning"), kinds=(bool,)
    ),
    "train.fsdp_reshard_after_forward": Rule(apply=nothing(FSDP), kinds=(str,)),
    "train.async_tp_enabled": Rule(
        apply=off("tensor parallelism is not built; results do not depend on it", "warning"),
        kinds=(bool,),
    ),
    "train.activation_offload": Rule(
        apply=off("not built; gradient checkpointing saves that memory", "warning"), kinds=(bool,)
    ),
    "train.sync_weight_interval": Rule(
        apply=nothing("there are no rollout replicas in SFT"), kinds=(int,), only="sft"
    ),
    "train.sequence_packing": Rule(
        apply=lambda reading, value: reading.set("packing", value), kinds=(bool,), only="sft"
    ),
    "train.fa_version": Rule(apply=nothing("the attention kernel changes no result"), kinds=(int,)),
}
