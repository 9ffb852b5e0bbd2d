"""A module a family of models; `models.catalog` finds it by being here. It has

MODELS: model name to `ModelInfo`, known without importing torch;
build(spec): the `Workload` of one of them, which imports torch and whatever else it needs. A family
of bare commands has none.
"""
