"""`--batch`: rows in, questions asked, results out, for every command that has it."""
