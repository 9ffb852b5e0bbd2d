"""GPT-2's prefill: input token ids (batch_size, size), output the last token's logits."""

from models.spec import ModelInfo, ModelSpec
from models.workload import Workload, random_weights, token_ids

MODELS = {"gpt2": ModelInfo("tokens", 128, 1, 1024)}


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

    return Workload(random_weights(Prefill, spec), (token_ids(spec, config.vocab_size),))
