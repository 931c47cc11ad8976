-- Removes executions that are scheduled, or wait for a permit, and were placed before a watermark. It goes from the
-- last member to the first, because schedulers and wakes take from the front meanwhile, and that must not move the
-- members that are still to be looked at. One that a worker moves to another partition stays, for `clear-moving.lua`.
-- KEYS  work, front, schedule
-- ARGV  prefix, watermark, last ids on the streams, limit ('' for the schedule), members to look at, the last member that
--       stayed ('' at first), number of members that stayed so far
-- Reply removed, the last member that stayed, number of members that stayed so far ('' when all were looked at), the departures of
--       those that are moved
--@include now
--@include memory
local prefix = ARGV[1]
--@include events
--@include entries
--@include moves
--@include permits
--@include message
--@include forget
--@include clearing

local limit, count, last = ARGV[4], tonumber(ARGV[5]), ARGV[6]
local set = limit == '' and KEYS[3] or limits .. limit
local rank = last ~= '' and redis.call('ZREVRANK', set, last)
local stayed = rank and rank + 1 or tonumber(ARGV[7])
local members = redis.call('ZREVRANGE', set, stayed, stayed + count - 1)

local removed, looked_at, bytes = 0, 0, 0

-- Returns whether the member was removed. One that has lost its message is left to the scheduler, which reports it.
local function clear(member)
  local is_recorded = string.sub(member, 1, 1) == LETTER.recorded
  local parked = parked_at(member)
  local record = redis.call('HMGET', parked,
    is_recorded and RECORD.generation or PARKED.placed, RECORD.chain, PARKED.priority, RECORD.departing)
  local placed, chain = record[1], is_recorded and record[2]
  if not is_older(placed, record[3]) or redis.call('HEXISTS', parked, PARKED.message) == 0 then
    return false
  elseif is_recorded and record[4] then
    note_departure(string.sub(member, 2), record[4], placed)
    return false
  end
  local moving = unpark(member)
  bytes = bytes + string.len(moving[ENTRY.message])
  redis.call('ZREM', set, member)
  end_cleared(moving, is_recorded and placed or moving[ENTRY.due], chain)
  removed = removed + 1
  return true
end

for _, member in ipairs(members) do
  looked_at = looked_at + 1
  local is_done, is_removed = pcall(clear, member) -- one whose record cannot be used stays, too
  if not (is_done and is_removed) then
    last = member
    stayed = stayed + 1
  end
  if bytes > BATCH_BYTES then
    break
  end
end
if limit ~= '' and removed > 0 then
  serve_waiters(limit) -- those that stay may need less
end
write_permits()
local is_more = looked_at < #members or #members == count
return { removed, last, is_more and digits(stayed) or '', departures }
