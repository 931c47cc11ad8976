-- Reads all that is known of one execution: its record or, when it has none, where it is parked; its entry, and who has it; its
-- permits, and its place in line.
-- KEYS  work, front, schedule
-- ARGV  prefix, key or id, token of its entry ('' for the one that the record names)
-- Reply server's time (ms), fields and values of the record, ms until the record expires (-1 never), fields and values of
--       what is parked without a record, token of the entry ('' for none), its fields and values, consumer that has it, needs
--       of the permits it holds, its due time on the schedule, rank in the line it waits in (-1 for none), length of that
--       line, '1' when it was cancelled and has no record
--@include now
local prefix, key, token = ARGV[1], ARGV[2], ARGV[3]
--@include entries
--@include fields

local record = redis.call('HGETALL', prefix .. KEY.record .. key)
local parked = #record == 0 and redis.call('HGETALL', prefix .. KEY.parked .. key) or {}
local known = fields_of(#record > 0 and record or parked)
local member = (#record > 0 and LETTER.recorded or LETTER.lean) .. key
token = token ~= '' and token or #record > 0 and known[RECORD.entry] or ''

local entry, consumer, permits = {}, '', ''
if is_token(token) then
  local id = string.sub(token, 2)
  local found = redis.call('XRANGE', stream_of(token), id, id)[1]
  entry = found and found[2] or {}
  local pending = redis.pcall('XPENDING', stream_of(token), GROUP, id, id, 1) -- an error before the first read
  consumer = not pending.err and pending[1] and pending[1][2] or ''
  permits = redis.call('HGET', prefix .. KEY.permits, token) or ''
end

local function place_in(line, item)
  return redis.call('ZRANK', line, item) or -1, redis.call('ZCARD', line)
end

local rank, length = -1, 0
local booking_attempt, rate = string.match(known[PARKED.booking] or '', '(%S+) (%S+)')
if known[PARKED.limit] then
  rank, length = place_in(prefix .. KEY.limit .. known[PARKED.limit], member)
elseif rate then
  local placed = #record > 0 and known[RECORD.generation] or known[PARKED.due] or ''
  rank, length = place_in(prefix .. KEY.booked .. rate, member .. ' ' .. placed .. ' ' .. booking_attempt)
end

return { digits(now), record, redis.call('PTTL', prefix .. KEY.record .. key), parked, #entry > 0 and token or '', entry,
  consumer, permits, redis.call('ZSCORE', KEYS[3], member) or '', rank, length,
  #record == 0 and redis.call('ZSCORE', prefix .. KEY.cancelled, key) and '1' or '' }
