from worker.decorators import on_boot as on_boot
from worker.decorators import on_shutdown as on_shutdown
from worker.decorators import on_task as on_task
from worker.decorators import on_tool_after as on_tool_after
from worker.decorators import on_tool_before as on_tool_before
from worker.decorators import on_tool_error as on_tool_error
from worker.face.listening import Events as Events
