-- How the scripts that list executions choose and describe them. The including script has `prefix` and names, before it
-- includes this: `task` ('' for any), `states` (',queued,running,' for example) and `wants_messages`.
--@include guard

local matches = {}

local function task_in(message)
  local first, last = text_at(message or '', 3)
  return first and string.sub(message, first, last) or ''
end

local function is_wanted(state, name)
  return state and string.find(states, ',' .. state .. ',', 1, true) and (task == '' or task == name)
end

-- Looks at one item. Leaves out an item whose record cannot be used. If the user lacks a right, the script fails instead.
local function look(apply, ...)
  local is_done, problem = pcall(apply, ...)
  if not is_done then
    local text = type(problem) == 'table' and problem.err or tostring(problem)
    if is_forbidden(text) then
      error(text, 0)
    end
  end
end

-- Adds a match to the reply: where it is, key or id, '1' when it has a record, state, name of the task, number of the
-- attempt, worker, started, due, ended, error line, limit at which it waits, needs of permits, consumer that has it,
-- priority, and the message, or its head. All but the first four may be ''.
local function add_match(place, name, is_recorded, state, fields, message)
  message = message or ''
  if not wants_messages then
    message = string.sub(message, 1, MESSAGE_HEAD_BYTES)
  end
  matches[#matches + 1] = { place, name, is_recorded and '1' or '', state, fields.task or '', fields.attempt or '',
    fields.worker or '', fields.started or '', fields.due or '', fields.ended or '',
    string.sub(fields.error_line or '', 1, MESSAGE_HEAD_BYTES), fields.limit or '', fields.needs or '', fields.consumer or '', fields.priority or '', message }
end

-- Returns the limit at which an execution waits for its turn at a rate, or for a debounce.
local function limit_of(booking, debounce, stage)
  return booking and string.match(booking, ' (%S+)') or stage == STAGE.debounce_over and debounce or nil
end

-- Reads what a listing shows of a record. Returns its fields by name, and its state.
local function read_listed(key)
  local record = redis.call('HMGET', prefix .. KEY.record .. key,
    RECORD.state, RECORD.task, RECORD.attempt, RECORD.worker, RECORD.started, RECORD.due, RECORD.generation, RECORD.ended,
    RECORD.error_line, RECORD.entry, PARKED.limit, PARKED.needs, PARKED.booking, PARKED.debounce, PARKED.stage,
    PARKED.priority)
  local generation = tonumber(record[7] or '') or 0
  return {
    task = record[2], attempt = record[3], worker = record[4], started = record[5],
    due = record[6] or digits(math.floor(generation / 1000)), ended = record[8], error_line = record[9], entry = record[10],
    limit = record[11] or limit_of(record[13], record[14], record[15]), needs = record[12], priority = record[16],
  }, record[1]
end
