"""The SQL, named, by what it is about. A line of prose above each statement says what it is for."""
