-- How scripts go through failures: the newest first, up to 128 of them (FAILURES_LOOKED_AT) or 1 MiB.
--@include fields

-- Calls `take` with the id, the fields by name and the list of the fields of each failure from id `last` to id `first` (as
-- XREVRANGE takes them), until it returns true. Returns where to go on ('' when all were looked at), and how many were looked at.
local function each_failure(last, first, take)
  local looked_at, bytes, step = 0, 0, 4 -- a few at first, then as many as their size suggests
  while true do
    local page = redis.call('XREVRANGE', KEYS[1], last, first, 'COUNT', step)
    for _, entry in ipairs(page) do
      local fields = fields_of(entry[2])
      for _, value in pairs(fields) do
        bytes = bytes + #value
      end
      looked_at = looked_at + 1
      last = '(' .. entry[1]
      if take(entry[1], fields, entry[2]) then
        return last, looked_at
      end
    end
    if #page < step then
      return '', looked_at
    elseif looked_at >= FAILURES_LOOKED_AT or bytes > BATCH_BYTES then
      return last, looked_at
    end
    step = math.min(4 * step, BATCH_ITEMS, math.ceil((BATCH_BYTES - bytes + 1) * looked_at / (bytes + 1)))
  end
end

local function is_selected(fields, task, error_name)
  return (task == '' or fields[FAILURE.task] == task) and (error_name == '' or fields[FAILURE.error_name] == error_name)
end
