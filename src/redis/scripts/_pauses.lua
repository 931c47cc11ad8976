-- Pauses. While a task is paused, its executions wait in a line of its own. The line is like that of a limit, except for its name
-- (`PAUSE.task` and the task), and that no waiter is served before the task is resumed. So code that finds a waiter by its limit
-- (cancel, replace, clear, the search for lost executions) works for this line, too, without knowing of pauses.
local lines_paused

-- Returns what is paused, as keys of a table. Reads it once in a script.
local function paused_lines()
  if not lines_paused then
    lines_paused = {}
    local fields = redis.pcall('HKEYS', prefix .. KEY.paused) -- an error where a key of another type is in its place
    for _, field in ipairs(fields.err and {} or fields) do
      lines_paused[string.match(field, '^%S*')] = true
    end
  end
  return lines_paused
end

-- Whether this is the line of a task, paused or just resumed, and no limit.
local function is_line_of_pause(name)
  return string.sub(name, 1, 1) == PAUSE.task
end

-- Whether the executions in this line have to wait.
local function is_paused(line)
  return paused_lines()[line] == true
end
