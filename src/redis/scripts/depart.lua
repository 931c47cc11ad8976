-- Reads an execution that is in the wrong partition, for the script that places it in the right one (`arrive.lua`). It stays here
-- until `departed.lua` removes it. Meanwhile its record says where it goes and by which move, so that a producer that cancels or
-- replaces it here can stop the move there.
--
-- Each worker that tries the move gives it the same name. Every other move of the execution has another name: the
-- execution may come back to this partition, when workers of two versions disagree about where it belongs. It may also
-- leave a server whose memory is full, which frees some.
-- KEYS  work, front
-- ARGV  prefix, token, tag of this partition, tag of the one where it belongs, its key or id
-- `departures` says which executions may have arrived elsewhere, so that no change of the partitions sends them to a third one.
-- Reply the fields of its entry and those of its record (none without one), each list with names and values, and the name of
--       the move; nothing when the entry is gone, or the record names another
--@include now
--@include memory
--@include fields
--@include trim
local prefix, token = ARGV[1], ARGV[2]
--@include streams

local id = string.sub(token, 2)
local entry = redis.call('XRANGE', stream_of(token), id, id)[1]
if not entry then
  return {}
end
local fields = fields_of(entry[2])
-- An entry may have these by its id or its stream alone.
local list = { ENTRY.due, fields[ENTRY.due] or string.match(id, '^%d+') }
if not fields[ENTRY.priority] and priority_of(token) then
  list[#list + 1] = ENTRY.priority
  list[#list + 1] = priority_of(token)
end
if not fields[ENTRY.key] then
  list[#list + 1] = ENTRY.placed
  list[#list + 1] = fields[ENTRY.placed] or id
end
for name, value in pairs(fields) do
  if name ~= ENTRY.due and name ~= ENTRY.placed then
    list[#list + 1] = name
    list[#list + 1] = value
  end
end
local record, generation = {}, ''
if fields[ENTRY.key] then
  record = redis.call('HGETALL', prefix .. KEY.record .. fields[ENTRY.key])
  local known = fields_of(record)
  if known[RECORD.entry] ~= token or known[RECORD.cancelled] == '1' then
    return {}
  end
  generation = known[RECORD.generation] or ''
end
local departure = (fields[ENTRY.moves] or '0') .. ' ' .. generation .. ' ' .. ARGV[5]
local name = ARGV[3] .. ' ' .. departure
local departures = prefix .. KEY.departures
trim(departures, now)
redis.call('ZADD', departures, digits(now + ARRIVAL_REMEMBERED_MS), departure)
redis.call('PEXPIRE', departures, ARRIVAL_REMEMBERED_MS)
if fields[ENTRY.key] then
  redis.call('HSET', prefix .. KEY.record .. fields[ENTRY.key], RECORD.departing, ARGV[4] .. ' ' .. name)
end
return { list, record, name }
