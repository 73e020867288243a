"""What types of weights cost in quality, by gptcli and by llama.cpp, from the same files."""
