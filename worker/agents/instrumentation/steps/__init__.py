"""Steps of workflows: functions, failures, and steps that wait for a person."""
