-- Removes an execution that has arrived in its partition from the one that it was in, with its permits. Does nothing when the
-- entry is gone because the execution was cancelled, cleared or moved. One without a record stays if it was cancelled here, so
-- that it is cancelled where it has arrived first.
-- KEYS  work, front, schedule
-- ARGV  prefix, token
-- Reply one of DEPARTURE
--@include now
--@include memory
local prefix, token = ARGV[1], ARGV[2]
--@include events
--@include entries
--@include moves
--@include permits
--@include forget
--@include message

local moving = read_entry(token)
if moving and not moving[ENTRY.key] and redis.call('ZSCORE', prefix .. KEY.cancelled, id_of(moving[ENTRY.message])) then
  return DEPARTURE.cancelled
end
if not moving or not remove(token) then
  return DEPARTURE.gone
end
release_permits({ token })
write_permits()
local key = moving[ENTRY.key]
local record_key = key and prefix .. KEY.record .. key
local record = key and redis.call('HMGET', record_key, RECORD.entry, RECORD.generation) or {}
redis.call('ZREM', prefix .. KEY.departures,
  (moving[ENTRY.moves] or '0') .. ' ' .. (record[2] or '') .. ' ' .. (key or id_of(moving[ENTRY.message])))
if not key then
  forget_limits(LETTER.lean .. id_of(moving[ENTRY.message]), moving[ENTRY.due], moving[ENTRY.debounce], moving[ENTRY.booking])
elseif record[1] == token then
  if has_listeners then
    publish(key, record[2], 'moved', {}) -- listeners look for it, and listen where it has arrived
  end
  forget_limits(LETTER.recorded .. key, record[2], moving[ENTRY.debounce], moving[ENTRY.booking])
  forget_chain(key)
  redis.call('DEL', record_key)
end
return DEPARTURE.removed
