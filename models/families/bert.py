"""BERT encoders: input token ids (batch_size, size), output the pooled hidden state."""

from models.spec import ModelInfo, ModelSpec
from models.weights import State
from models.workload import Workload, token_ids, with_weights

#: hidden size, layers, heads, inner size (Devlin et al. 2019, table 1; mini: Turc et al. 2019).
SHAPES = {
    "bert_base": (768, 12, 12, 3072),
    "bert_large": (1024, 24, 16, 4096),
    "bert_mini": (256, 4, 4, 1024),
}
MODELS = dict.fromkeys(SHAPES, ModelInfo("tokens", 128, 1, 512))
PARTS = ("embeddings.", "encoder.", "pooler.")
#: Names of the oldest files. Positions are counted, not learned.
OLD = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
COUNTED = "embeddings.position_ids"


def build(spec: ModelSpec) -> Workload:
    from torch import Tensor, nn
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertModel

    hidden, layers, heads, inner = SHAPES[spec.name]
    config = BertConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
    )

    class Encoder(nn.Module):
        """BERT that takes and returns plain tensors."""

        def __init__(self) -> None:
            super().__init__()
            self.bert = BertModel(config)

        def forward(self, ids: Tensor) -> Tensor:
            pooled: Tensor = self.bert(input_ids=ids).pooler_output
            return pooled

    return Workload(with_weights(Encoder, spec, _as_ours), token_ids(spec, config.vocab_size))


def _as_ours(state: State) -> State:
    """Hugging Face's names, of an encoder alone or below a head, as those of `Encoder`."""
    ours = {}
    for key, tensor in state.items():
        name = key.removeprefix("bert.")
        for old, new in OLD.items():
            name = name.replace(old, new)
        if name.startswith(PARTS) and name != COUNTED:
            ours[f"bert.{name}"] = tensor
    return ours
