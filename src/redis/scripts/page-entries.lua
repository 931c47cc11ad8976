-- Lists a page of the executions on a stream: those that workers have, and those that wait to be read.
-- KEYS  work, front
-- ARGV  prefix, letter of the stream, id behind which it begins ('' at the start), '1' for those that were read only, entries
--       to look at, matches to return, task ('' for any), states, '1' for whole messages, id of the one to find ('' for any)
-- Reply id behind which it goes on ('' when all were looked at), number of entries looked at, a list of the matches (_listing.lua),
--       each with its token first
--@include now
local prefix, letter, last, only_read = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local count, wanted, task, states, wants_messages = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9] == '1'
local wanted_id = ARGV[10]
--@include entries
--@include delivered
--@include fields
--@include ids
--@include message
--@include listing

local stream = stream_of(letter)

local read_up_to = last_delivered_id(stream)

local function consumer_of(id)
  local pending = redis.call('XPENDING', stream, GROUP, id, id, 1)[1]
  return pending and pending[2]
end

local function look_at(id, fields, is_read)
  local token, message, name = letter .. id, fields[ENTRY.message] or '', fields[ENTRY.key]
  if task ~= '' and task_in(message) ~= task or wanted_id ~= '' and (name or id_of(message)) ~= wanted_id then
    return
  end
  local priority = priority_of(token) or fields[ENTRY.priority]
  if name then
    local listed, state = read_listed(name)
    if listed.entry == token and is_wanted(state, listed.task) then
      listed.consumer, listed.priority = is_read and consumer_of(id), priority
      add_match(token, name, true, state, listed, message)
    end
  else
    local state = is_read and 'running' or 'queued'
    if is_wanted(state, task) then
      local due = fields[ENTRY.due] or string.match(id, '^%d+')
      add_match(token, id_of(message), false, state,
        { task = task_in(message), due = due, consumer = is_read and consumer_of(id), priority = priority }, message)
    end
  end
end

-- Reads a few entries at first, then as many as the sizes of those before suggest.
local looked_at, copied, is_more, ask = 0, 0, true, 4
while is_more and looked_at < count and copied < BATCH_BYTES and #matches < wanted do
  ask = math.min(ask, count - looked_at)
  local entries = redis.call('XRANGE', stream, last == '' and '-' or '(' .. last, only_read and read_up_to or '+', 'COUNT', ask)
  is_more = #entries == ask
  for i, entry in ipairs(entries) do
    local fields = fields_of(entry[2])
    copied, looked_at, last = copied + #(fields[ENTRY.message] or ''), looked_at + 1, entry[1]
    look(look_at, last, fields, not is_after(last, read_up_to))
    if #matches >= wanted then
      is_more = is_more or i < #entries
      break
    end
  end
  ask = math.min(4 * ask, math.ceil((BATCH_BYTES - copied) * looked_at / (copied + 1)))
end
return { is_more and last or '', looked_at, matches }
