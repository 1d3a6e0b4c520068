"""The smallest handler, without a model or a key. Run it with `worker run --handlers examples`."""

from worker import Task, TaskUpdateEventType, on


@on(TaskUpdateEventType.TaskCreated, agent_id="hello")
async def hello(task: Task) -> str:
    task.internal_status = "greeted"
    return f"Hello, {task.input.text}!"
