"""Safetensors files: header, shards, mapping, writing."""
