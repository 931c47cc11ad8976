-- Places an execution that was in another partition (`depart.lua`). It is placed once: a worker that tries the move
-- again, because a reply was lost or another worker died, finds that it has arrived. It passes the limits of its task
-- here.
-- KEYS  work, front, schedule
-- ARGV  prefix, name of the move, how long that is remembered (ms), until when it may arrive (ms), version of the strikes
--       at which the layout had this partition, number of arguments about the entry, names and values of its fields, then
--       those of its record
-- Reply one of ARRIVAL
--@include now
local prefix = ARGV[1]
--@include events
--@include entries
--@include moves
--@include strikes

local arrived = prefix .. KEY.arrived .. ARGV[2]
local was = redis.call('GET', arrived)
if was then
  return was == ARRIVED.stopped and ARRIVAL.stopped or ARRIVAL.before
end
-- Later the name of a move that is over may be forgotten, and what has arrived may have run.
if now > tonumber(ARGV[4]) then
  return ARRIVAL.late
end
-- A worker that does not know of a change would place it where nobody reads. It may not even know that the partition was removed.
if have_strikes_changed(prefix .. KEY.strikes, ARGV[5]) then
  return ARRIVAL.outdated
end
local moving, count = {}, tonumber(ARGV[6])
local record_at = 7 + count
for at = 7, 6 + count, 2 do
  moving[ARGV[at]] = ARGV[at + 1]
end
local key = moving[ENTRY.key]
local record_key = key and prefix .. KEY.record .. key
local there = key and redis.call('HMGET', record_key, RECORD.state, RECORD.generation) or {}
local generation
local replacing_until = 0
for at = record_at, #ARGV, 2 do
  generation = ARGV[at] == RECORD.generation and ARGV[at + 1] or generation
  replacing_until = ARGV[at] == RECORD.replacing and tonumber(ARGV[at + 1]) or replacing_until
end
if there[1] and there[2] == generation then
  -- It comes back before it was removed from here. The worker that moves it away from here will remove it. If that worker has died,
  -- the execution is redelivered here, and moved again or run.
  return is_alive(there[1]) and ARRIVAL.leaving or ARRIVAL.before
elseif is_alive(there[1]) then
  -- Whoever replaced this execution by it is about to remove it.
  return now < replacing_until and ARRIVAL.leaving or ARRIVAL.taken
end
redis.call('SET', arrived, ARRIVED.placed, 'PX', ARGV[3])
-- Its permits and places at limits stay in the other partition.
for _, name in ipairs({ ENTRY.holds_permits, ENTRY.booking, ENTRY.debounce }) do
  moving[name] = nil
end
if moving[ENTRY.stage] == STAGE.attempt_admitted then
  moving[ENTRY.stage] = STAGE.submission_admitted
elseif moving[ENTRY.stage] ~= STAGE.submission_admitted then
  moving[ENTRY.stage] = nil
end
if key then
  redis.call('DEL', record_key)
  for at = record_at, #ARGV, 2 do
    if ARGV[at] ~= RECORD.departing then -- it belongs to the move that ends here
      redis.call('HSET', record_key, ARGV[at], ARGV[at + 1])
    end
    if ARGV[at] == RECORD.chain then
      redis.call('ZADD', prefix .. KEY.chains, 0, key)
    elseif ARGV[at] == RECORD.generation then
      -- It keeps its generation, since its handles know it by that. Later placements must have higher ones.
      local counter = prefix .. KEY.generation
      local last = tonumber(redis.call('GET', counter) or 0) or 0
      redis.call('SET', counter, digits(math.max(last, tonumber(ARGV[at + 1]) or 0)))
    end
  end
end
moving[ENTRY.moves] = digits((tonumber(moving[ENTRY.moves] or 0) or 0) + 1)
enqueue(STREAM.work, moving)
return ARRIVAL.placed
