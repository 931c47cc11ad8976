-- Lists failures, the newest first: one page, which ends with the number that is wanted, after 256 failures that were looked
-- at, or after 1 MiB.
-- KEYS  failures
-- ARGV  the last and the first id that may be listed (as XREVRANGE takes them), number that is wanted, task, error name (each
--       '' for any), '1' to list ids only
-- Reply where the next page begins ('' when all were looked at), then for each failure: id, its fields and their values
--@include fields
local last, wanted, task, error_name, ids_only = ARGV[1], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6] == '1'

local reply, looked_at, bytes = { '' }, 0, 0

local function take(id, list)
  local fields = fields_of(list)
  for _, value in pairs(fields) do
    bytes = bytes + #value
  end
  if (task == '' or fields[FAILURE.task] == task) and (error_name == '' or fields[FAILURE.error_name] == error_name) then
    reply[#reply + 1] = { id, ids_only and {} or list }
  end
end

-- A few at first, then as many as their size suggests.
local step = 4
while true do
  local page = redis.call('XREVRANGE', KEYS[1], last, ARGV[2], 'COUNT', step)
  for _, entry in ipairs(page) do
    take(entry[1], entry[2])
    looked_at = looked_at + 1
    last = '(' .. entry[1]
    if #reply > wanted then
      break
    end
  end
  if #page < step and #reply <= wanted then
    break
  elseif #reply > wanted or looked_at >= FAILURES_LOOKED_AT or bytes > BATCH_BYTES then
    reply[1] = last
    break
  end
  step = math.min(4 * step, BATCH_ITEMS, math.ceil((BATCH_BYTES - bytes + 1) * looked_at / (bytes + 1)))
end
return reply
