-- Places executions that have a record: due ones on the work stream, later ones parked and on the schedule.
-- KEYS  work, schedule, generation
-- ARGV  prefix, then for each item:
--         key
--         kind     'u' the key is new for certain, 'k' given by the caller: first one wins, 'l' a record only while parked
--         task
--         due      '' now, '+n' n ms from now, 'n' server ms
--         message
-- Reply now, generation of the first item, then for each item that was not placed, because its key is taken:
--         index (from 0), generation of the execution that has the key
--@include now
local prefix = ARGV[1]
local work, schedule = KEYS[1], KEYS[2]
--@include events

local items = (#ARGV - 1) / 5
local first = math.max(tonumber(redis.call('GET', KEYS[3]) or 0) + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[3], digits(first + items - 1))

local reply = { digits(now), digits(first) }
local earliest, earliestKey

for item = 0, items - 1 do
  local at = 2 + item * 5
  local key, kind, task, due, message = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local run = prefix .. 'run:' .. key
  local generation = first + item
  local taken = false

  if kind == 'k' then
    local old = redis.call('HMGET', run, 's', 'g')
    local state = old[1]
    if state == 'scheduled' or state == 'queued' or state == 'running' then
      taken = true
      reply[#reply + 1] = item
      reply[#reply + 1] = old[2]
    elseif state then
      redis.call('DEL', run) -- what is left of a finished execution: its TTL, result and error must not outlive it
    end
  end

  if not taken then
    if due == '' then
      due = now
    elseif string.sub(due, 1, 1) == '+' then
      due = now + tonumber(string.sub(due, 2))
    else
      due = tonumber(due)
    end
    if due > now then
      redis.call('HSET', run, 's', 'scheduled', 'g', digits(generation), 'e', '', 't', task, 'w', digits(due), 'm', message)
      if kind == 'l' then
        redis.call('HSET', run, 'l', '1')
      end
      redis.call('ZADD', schedule, digits(due), key)
      if not earliest or due < earliest then
        earliest, earliestKey = due, key
      end
      changed(key, generation, 'scheduled')
    else
      local id = redis.call('XADD', work, '*', 'k', key, 'm', message)
      redis.call('HSET', run, 's', 'queued', 'g', digits(generation), 'e', 'w' .. id, 't', task, 'w', digits(now))
      changed(key, generation, 'queued')
    end
  end
end

-- Schedulers sleep until the head is due; a new head wakes them.
if earliest and redis.call('ZRANGE', schedule, 0, 0)[1] == earliestKey then
  redis.call('PUBLISH', prefix .. 'wake', digits(earliest))
end
return reply
