"""BERT encoders: input token ids (batch_size, size), output the pooled hidden state."""

from models.spec import ModelInfo, ModelSpec
from models.workload import Workload, random_weights, token_ids

#: hidden size, layers, heads, inner size (Devlin et al. 2019, table 1; mini: Turc et al. 2019).
SHAPES = {
    "bert_base": (768, 12, 12, 3072),
    "bert_large": (1024, 24, 16, 4096),
    "bert_mini": (256, 4, 4, 1024),
}
MODELS = dict.fromkeys(SHAPES, ModelInfo("tokens", 128, 1, 512))


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

    return Workload(random_weights(Encoder, spec), (token_ids(spec, config.vocab_size),))
