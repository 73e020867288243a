"""What comes in beside options: prompts, rows, examples, presets."""
