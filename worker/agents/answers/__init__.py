"""Model answers: how they ended, which ones are invalid, and the form that is wanted of them."""
