-- Lists a page of the executions on the schedule, or of the waiters at a limit, in the order of the sorted set.
-- KEYS  work, front, schedule
-- ARGV  prefix, limit ('' for the schedule), score and member behind which it begins ('' at the start), members to look at,
--       matches to return, task ('' for any), states, '1' for whole messages
-- Reply score and member behind which it goes on ('' when all were looked at), number of members looked at, a list of the matches
--       (_listing.lua), each with its member first
--@include now
local prefix, limit, score, last = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local count, wanted, task, states, wants_messages = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9] == '1'
--@include entries
--@include moves
--@include message
--@include listing

local set = limit == '' and KEYS[3] or prefix .. KEY.limit .. limit

-- Whether a text comes first in the order of bytes, as members of one score do. (Lua compares by the server's locale.)
local function is_before(a, b)
  for i = 1, math.min(#a, #b) do
    local byte_a, byte_b = string.byte(a, i), string.byte(b, i)
    if byte_a ~= byte_b then
      return byte_a < byte_b
    end
  end
  return #a < #b
end

-- Returns the rank of the first member behind that place, whether or not there still is a member.
local function rank_behind_last()
  if last == '' then
    return 0
  elseif tonumber(redis.call('ZSCORE', set, last) or '') == tonumber(score) then
    return redis.call('ZRANK', set, last) + 1
  end
  local low, high = redis.call('ZCOUNT', set, '-inf', '(' .. score), redis.call('ZCOUNT', set, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(last, redis.call('ZRANGE', set, middle, middle)[1]) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local bytes = 0

local function look_at(member)
  local parked, name = parked_at(member)
  if string.sub(member, 1, 1) == LETTER.recorded then
    if task ~= '' and redis.call('HGET', parked, RECORD.task) ~= task then
      return -- one field instead of all
    end
    local listed, state = read_listed(name)
    if is_wanted(state, listed.task) then
      local message = redis.call('HGET', parked, PARKED.message)
      bytes = bytes + #(message or '')
      add_match(member, name, true, state, listed, message)
    end
    return
  end
  local state = limit == '' and 'scheduled' or 'queued'
  local message, due, needs, booking, debounce, stage, priority = unpack(redis.call('HMGET', parked,
    PARKED.message, PARKED.due, PARKED.needs, PARKED.booking, PARKED.debounce, PARKED.stage, PARKED.priority))
  bytes = bytes + #(message or '')
  if message and is_wanted(state, task == '' and '' or task_in(message)) then
    local at = limit ~= '' and limit or limit_of(booking, debounce, stage)
    add_match(member, name, false, state,
      { task = task_in(message), due = due, limit = at, needs = needs, priority = priority }, message)
  end
end

local first = rank_behind_last()
local members = redis.call('ZRANGE', set, first, first + count - 1, 'WITHSCORES')
local looked_at = 0
for at = 1, #members, 2 do
  last, score, looked_at = members[at], members[at + 1], looked_at + 1
  look(look_at, last)
  if #matches >= wanted or bytes > BATCH_BYTES then
    break
  end
end
local is_more = looked_at < #members / 2 or #members / 2 == count
return { is_more and score or '', is_more and last or '', looked_at, matches }
