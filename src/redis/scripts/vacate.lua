-- Removes the execution under a key, as `replace` does, because another one was placed under the key in another partition.
-- KEYS  work, front, schedule
-- ARGV  prefix, key, generation from which on what is there stays ('' for none), name of a move by which an execution may come
--       here, and the generation that it has then ('' for none: then nothing else is removed), generation that stays wherever it
--       is: that of the execution for which the rest is removed ('' for none)
-- Reply 1 when something was removed, else 0, then where it goes if a worker moves it to another partition (RECORD.departing, ''
--       if none does), and its generation
--@include now
--@include memory
local prefix, key = ARGV[1], ARGV[2]
--@include events
--@include entries
--@include moves
--@include permits
--@include forget
--@include displace
--@include stop_move

local move = ARGV[4]
if move ~= '' and stop_move(move) then
  return { 1, '', '' }
end
local record = redis.call('HMGET', prefix .. KEY.record .. key,
  RECORD.state, RECORD.entry, RECORD.generation, RECORD.departing)
local generation = record[3] or ''
if not record[1] or (generation ~= '' and generation == ARGV[6]) or (move ~= '' and generation ~= ARGV[5])
  or (ARGV[3] ~= '' and (tonumber(generation) or 0) >= tonumber(ARGV[3])) then
  return { 0, '', '' }
end
supersede_or_displace(key, record[1], record[2])
write_permits()
forget_chain(key)
redis.call('DEL', prefix .. KEY.record .. key)
return { 1, record[4] or '', generation }
