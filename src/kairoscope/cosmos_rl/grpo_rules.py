"""Rules for reinforcement learning (GRPO): rollouts, rewards, the clipped objective."""

from typing import Any

from kairoscope.cosmos_rl.reading import Became, Reading, Rule, nothing, off, only, shown, takes

_T, _R = "train.train_policy.", "rollout."


def _variant(reading: Reading, value: str) -> Became:
    if value != "grpo":
        return Became("refused", "", "grpo alone is planned; allowed: grpo")
    return reading.set("variant", value)


def _prefix(reading: Reading, value: int) -> Became:
    why = "a prefix of this many tokens or more that rollouts of other rewards share is not learned from"
    return reading.set("shared_prefix_tokens", value, why)


def _scaled(reading: Reading, value: bool) -> Became:  # noqa: FBT001
    return reading.set("scale_advantages", not value, "divided by the group's standard deviation")


def _stale(_reading: Reading, value: int) -> Became:
    why = f"every update uses rollouts of the present weights; cosmos-rl's may be {value} steps old"
    return Became("adapted", "0 steps", why)


def _rewards(reading: Reading, value: Any) -> Became:
    table = value if isinstance(value, dict) else {}
    names = [value] if isinstance(value, str) else list(value)
    pairs = [(name, float(table.get(name, 1.0))) for name in names]
    reading.settings["rewards"] = pairs
    return Became("used", f"rewards = {shown(dict(pairs))}", "by name, with weights")


def _quantised(_reading: Reading, value: str) -> Became:
    if value == "none":
        return Became("no effect", "", "off")
    return Became("warning", "", "rollouts are made with the weights that are trained")


def _float(field_name: str, why: str = "") -> Any:
    return lambda reading, value: reading.set(field_name, float(value), why)


POLICY_TEMPERATURE = "divides the policy's logits in the loss; sampling has its own"
ENGINE = "of the rollout engine; rollouts come from the model in this process"
RANKS = (
    "n_init_replicas",
    "tp_size",
    "pp_size",
    "cp_size",
    "dp_shard_size",
    "dp_replicate_size",
)
RULES: dict[str, Rule] = {
    f"{_T}variant": Rule(apply=_variant, kinds=(str,), pin="grpo", only="grpo"),
    f"{_T}temperature": Rule(
        apply=_float("policy_temperature", POLICY_TEMPERATURE), kinds=(float,), pin=1.0, only="grpo"
    ),
    f"{_T}epsilon_low": Rule(apply=_float("epsilon_low"), kinds=(float,), pin=0.2, only="grpo"),
    f"{_T}epsilon_high": Rule(apply=_float("epsilon_high"), kinds=(float,), pin=0.2, only="grpo"),
    f"{_T}lower_bound_ratio": Rule(
        apply=_float("dual_clip", "bounds the loss of bad answers"),
        kinds=(float,),
        pin=3.0,
        only="grpo",
    ),
    f"{_T}kl_beta": Rule(
        apply=_float("kl_beta", "weight of the k3 estimate against the starting weights"),
        kinds=(float,),
        pin=0.0,
        only="grpo",
    ),
    f"{_T}mu_iterations": Rule(apply=takes("inner_updates"), kinds=(int,), pin=1, only="grpo"),
    f"{_T}loss_type": Rule(apply=takes("loss"), kinds=(str,), pin="token-mean", only="grpo"),
    f"{_T}unbiased_advantage": Rule(apply=_scaled, kinds=(bool,), only="grpo"),
    f"{_T}min_filter_prefix_tokens": Rule(apply=_prefix, kinds=(int,), only="grpo"),
    f"{_T}allowed_outdated_steps": Rule(apply=_stale, kinds=(int,), pin=4, only="grpo"),
    f"{_T}on_policy": Rule(
        apply=nothing("always: rollouts are of the present weights"), kinds=(bool,), only="grpo"
    ),
    f"{_T}reward_function": Rule(apply=_rewards, kinds=(str, list, dict), only="grpo"),
    f"{_T}aipo_rho": Rule(apply=off("AIPO is not planned"), kinds=(float,), only="grpo"),
    f"{_T}entropy_coeff": Rule(apply=off("not planned"), kinds=(float,), only="grpo"),
    f"{_T}unbiased_loss_max_tokens": Rule(apply=off("not planned"), kinds=(int,), only="grpo"),
    f"{_T}overlong_reward.enable_overlong_penalty": Rule(
        apply=off("not planned"), kinds=(bool,), only="grpo"
    ),
    f"{_T}use_remote_reward": Rule(
        apply=off("rewards are functions here"), kinds=(bool,), only="grpo"
    ),
    "train.sync_weight_interval": Rule(
        apply=only((1,), "every step", "rollouts are always of the present weights", "adapted"),
        kinds=(int,),
        only="grpo",
    ),
    f"{_R}n_generation": Rule(
        apply=takes("group_size", "rollouts of one prompt"), kinds=(int,), pin=16, only="grpo"
    ),
    f"{_R}max_response_length": Rule(
        apply=takes("max_new_tokens"), kinds=(int,), pin=2048, only="grpo"
    ),
    f"{_R}batch_size": Rule(
        apply=takes("prompts_at_once", "changes memory alone"), kinds=(int,), pin=1, only="grpo"
    ),
    f"{_R}seed": Rule(apply=nothing("rollouts follow the run's seed"), kinds=(int,), only="grpo"),
    f"{_R}quantization": Rule(apply=_quantised, kinds=(str,), only="grpo"),
    f"{_R}gpu_memory_utilization": Rule(apply=nothing(ENGINE), kinds=(float,), only="grpo"),
    f"{_R}enable_chunked_prefill": Rule(apply=nothing(ENGINE), kinds=(bool,), only="grpo"),
    f"{_R}enforce_eager": Rule(apply=nothing(ENGINE), kinds=(bool,), only="grpo"),
    f"{_R}backend": Rule(apply=nothing(ENGINE), kinds=(str,), only="grpo"),
    f"{_R}sampling_config.temperature": Rule(
        apply=_float("temperature", "of sampling"), kinds=(float,), pin=1.0, only="grpo"
    ),
    f"{_R}sampling_config.top_p": Rule(apply=_float("top_p"), kinds=(float,), pin=1.0, only="grpo"),
    f"{_R}sampling_config.top_k": Rule(
        apply=only((-1,), "all tokens", "top_k is not built; allowed: -1"),
        kinds=(int,),
        only="grpo",
    ),
    f"{_R}sampling_config.repetition_penalty": Rule(
        apply=only((1, 1.0), "off", "it would change the policy that is learned from; allowed: 1"),
        kinds=(float,),
        only="grpo",
    ),
    **{
        f"{_R}parallelism.{name}": Rule(apply=nothing(ENGINE), kinds=(int,), only="grpo")
        for name in RANKS
    },
}
