"""Answers of models: how they ended, what is no answer, and the form that is wanted of them."""
