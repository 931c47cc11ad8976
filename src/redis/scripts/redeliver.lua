-- Gives executions whose lease ran out to whoever reads next. Nothing is taken over in place: the old entry goes, a new
-- one comes, and with it the right to settle.
-- KEYS  work, front
-- ARGV  prefix, lease (ms), then tokens
-- Reply tokens that were redelivered (after 1 MiB the rest waits for the next sweep)
--@include now
--@include memory
local prefix, lease = ARGV[1], ARGV[2]
--@include events
--@include entries
--@include moves
--@include slots
--@include message

-- Deliveries that ended without an outcome, after which an execution is a suspect: it is then run with no other suspect
-- beside it in its process, so that when the process dies under it once more, it is charged for that.
local SUSPECT_AFTER = 3

local function redeliver(moving, state, generation)
  local deliveries = tonumber(moving.d or 0)
  if deliveries >= SUSPECT_AFTER then
    moving.c = digits(tonumber(moving.c or 0) + 1)
  end
  moving.d = digits(deliveries + 1)
  -- It had met its limits if it had begun; of one without a record that cannot be known.
  if state == 'running' or not state then
    moving.o = '3'
  end
  moving.h = nil
  if state == 'running' then
    redis.call('HDEL', prefix .. 'run:' .. moving.k, 'i', 'j', 'o', 'u', 'v') -- the next run counts anew
  end
  enqueue('f', moving)
  if moving.k and listened then
    changed(moving.k, generation, 'queued')
  end
end

local redelivered, removed, bytes = {}, {}, 0
for i = 3, #ARGV do
  if bytes > 1048576 then
    break
  end
  local token = ARGV[i]
  local stream, id = stream_of(token), string.sub(token, 2)
  -- Between the sweeper's look and this script the owner may have renewed or settled.
  if #redis.call('XPENDING', stream, 'workers', 'IDLE', lease, id, id, 1) == 1 then
    local moving = read_entry(token)
    remove(token)
    removed[#removed + 1] = token
    if moving then
      bytes = bytes + string.len(moving.m or '')
      local record = moving.k and redis.call('HMGET', prefix .. 'run:' .. moving.k, 'e', 's', 'z', 'g') or {}
      if moving.k and record[1] ~= token then
        redis.call('SREM', prefix .. 'superseded', token) -- the record has moved on without this one
      elseif record[3] == '1' then
        close(moving.k, ttl_of(moving.m), 'cancelled')
      else
        redeliver(moving, record[2], record[4])
        redelivered[#redelivered + 1] = token
      end
    end
  end
end
release_slots(removed)
write_slots()
return redelivered
