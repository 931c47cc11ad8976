-- Removes an execution that `clear` found while a worker moves it from one partition to another, unless it has started.
-- It is removed where the move leads first: either nothing may arrive there any more, or it has arrived, and is removed
-- if it waits there. Only then is it removed where it was found.
-- KEYS  work, front, schedule
-- ARGV  prefix, key, generation, name of the move by which it may come here ('' where it was found), where it goes by the move that
--       was stopped there (RECORD.departing; '' for none)
-- Reply 1 when it was removed or cannot come here any more, else 0, then where it goes if a worker moves it on ('' for nowhere)
--@include now
--@include memory
local prefix, key, generation, move = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
--@include events
--@include entries
--@include moves
--@include permits
--@include message
--@include forget
--@include displace
--@include stop_move

if move ~= '' and stop_move(move) then
  return { 1, '' }
end
local record_key = prefix .. KEY.record .. key
local record = redis.call('HMGET', record_key, RECORD.state, RECORD.generation, RECORD.departing)
if record[2] ~= generation or (record[1] ~= 'scheduled' and record[1] ~= 'queued') then
  return { 0, '' }
elseif record[3] and record[3] ~= ARGV[5] then
  return { 0, record[3] }
end
local message = displace(key)
redis.call('HDEL', record_key, PARKED.message, PARKED.needs, PARKED.limit)
end_execution(key, ttl_of(message), 'cancelled', RECORD.error_line, 'cleared')
write_permits()
return { 1, '' }
