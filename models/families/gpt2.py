"""GPT-2's prefill: input token ids (batch_size, size), output the last token's logits."""

from models.spec import ModelInfo, ModelSpec
from models.weights import State
from models.workload import Workload, token_ids, with_weights

MODELS = {"gpt2": ModelInfo("tokens", 128, 1, 1024)}
PARTS = ("wte.", "wpe.", "h.", "ln_f.")
#: Causal masks, which older files hold as if they were learned.
MASKS = (".attn.bias", ".attn.masked_bias")


def build(spec: ModelSpec) -> Workload:
    from torch import Tensor, nn
    from transformers import GPT2Config
    from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel

    config = GPT2Config()

    class Prefill(nn.Module):
        """GPT-2 without a key-value cache, which torch.export cannot express."""

        def __init__(self) -> None:
            super().__init__()
            self.gpt2 = GPT2LMHeadModel(config)

        def forward(self, ids: Tensor) -> Tensor:
            logits: Tensor = self.gpt2(input_ids=ids, use_cache=False, logits_to_keep=1).logits
            return logits

    return Workload(with_weights(Prefill, spec, _as_ours), token_ids(spec, config.vocab_size))


def _as_ours(state: State) -> State:
    """Hugging Face's names, of the transformer alone or below a head, as those of `Prefill`. A file
    without logits' weights means those of the token embedding."""
    ours = {}
    for key, tensor in state.items():
        name = key.removeprefix("transformer.")
        if name.startswith(PARTS) and not name.endswith(MASKS):
            ours[f"gpt2.transformer.{name}"] = tensor
    for head in ("lm_head.weight", "transformer.wte.weight", "wte.weight"):
        if head in state:
            return ours | {"gpt2.lm_head.weight": state[head]}
    return ours
