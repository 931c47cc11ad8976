-- Keeps what can never run as a failure, where an operator finds it. `priority` may be nil for a normal one, and `task` where
-- the message names it. Where another program has taken the place of the failures, nothing can be kept; that must not stop what
-- the script does for others.
local opened_failures
local function quarantine(key, reason, message, is_lean, priority, task)
  --@include failures
  local is_kept, problem = pcall(function()
    failures().keep({
      [FAILURE.kind] = FAILURE_KIND.quarantined,
      [FAILURE.key] = key ~= '' and key or id_of(message),
      [FAILURE.is_lean] = is_lean and '1' or nil,
      [FAILURE.message] = message,
      [FAILURE.line] = reason,
      [FAILURE.priority] = priority,
      [FAILURE.task] = task,
    })
  end)
  local text = not is_kept and (type(problem) == 'table' and problem.err or tostring(problem)) or ''
  if not is_kept and not string.find(text, 'WRONGTYPE', 1, true) then
    error(problem, 0)
  end
end

-- Puts away an execution, as the fields of its entry, because of the error that was met with its record or, if it has none,
-- with the hash in which it is parked.
local function put_away(moving, problem)
  local key = moving[ENTRY.key] or ''
  quarantine(key, 'its record cannot be used: ' .. problem, moving[ENTRY.message], key == '', moving[ENTRY.priority])
end
