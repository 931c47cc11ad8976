-- Lists the records of executions that have ended in one page of all keys. It looks at keys of the whole database, in the
-- order in which the server goes through them.
-- KEYS  work
-- ARGV  prefix, cursor of the server ('0' at the start), task ('' for any), states
-- Reply cursor at which it goes on ('0' when all were looked at), number of records looked at, a list of the matches
--       (_listing.lua), without messages
--@include now
local prefix, task, states, wants_messages = ARGV[1], ARGV[3], ARGV[4], false
--@include message
--@include listing

local records = prefix .. KEY.record
local page = redis.call('SCAN', ARGV[2], 'MATCH', records .. '*', 'COUNT', SCANNED_KEYS)

local function look_at(key)
  local state = redis.call('HGET', key, RECORD.state)
  if not is_wanted(state, task) then
    return
  end
  local name = string.sub(key, #records + 1)
  local listed = read_listed(name)
  if is_wanted(state, listed.task) then
    add_match('', name, true, state, listed)
  end
end

for _, key in ipairs(page[2]) do
  look(look_at, key)
end
return { page[1], #page[2], matches }
