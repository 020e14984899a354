"""Adapters that the package brings: a folder each, of safetensors, config, card and licence; read only.

`finetune.adapters.resolve.shipped_for` finds the one with which a base model answers.
"""
