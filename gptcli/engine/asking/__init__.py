"""What is asked of logits: sampling, generation, scores, continuations, trees."""
