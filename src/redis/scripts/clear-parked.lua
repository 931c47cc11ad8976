-- Removes what is scheduled, or waits for a slot, and was placed before a watermark: from the last of them to the first,
-- because schedulers and wakes take from the front meanwhile, and that must not move what is still to be looked at.
-- KEYS  work, front, schedule
-- ARGV  prefix, watermark, last id on work, limit ('' for the schedule), members to look at, the last member that stayed
--         ('' at first), members that stayed so far
-- Reply removed, the last member that stayed, members that stayed so far ('' when all were looked at)
--@include now
--@include memory
local prefix = ARGV[1]
--@include events
--@include entries
--@include moves
--@include slots
--@include message
--@include forget
--@include clearing

local limit, count, last, stayed = ARGV[4], tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local set = limit == '' and KEYS[3] or limits .. limit
local rank = last ~= '' and redis.call('ZREVRANK', set, last)
local first = rank and rank + 1 or stayed
local members = redis.call('ZREVRANGE', set, first, first + count - 1)

local removed, looked, bytes = 0, 0, 0
stayed = first
for _, member in ipairs(members) do
  local isRecorded = string.sub(member, 1, 1) == 'k'
  local parked = parked_at(member)
  local placed = redis.call('HGET', parked, isRecorded and 'g' or 'pg')
  looked = looked + 1
  -- What has lost its message is for the scheduler, which says so.
  if is_older(placed) and redis.call('HEXISTS', parked, 'm') == 1 then
    local moving = unpark(member)
    bytes = bytes + string.len(moving.m)
    redis.call('ZREM', set, member)
    dismiss(moving, isRecorded and placed or moving.w)
    removed = removed + 1
  else
    last = member
    stayed = stayed + 1
  end
  if bytes > 1048576 then
    break
  end
end
if limit ~= '' and removed > 0 then
  serve_waiters(limit) -- whoever stays may need less
end
write_slots()
local isMore = looked < #members or #members == count
return { removed, last, isMore and digits(stayed) or '' }
