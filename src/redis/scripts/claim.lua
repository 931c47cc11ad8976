-- Takes ownership of executions that were read and have a record. The record names the only entry that may be claimed.
-- An entry that was replaced, settled or redelivered since it was read is refused and removed. One whose record cannot be
-- used is refused and goes into quarantine.
-- KEYS  work, front
-- ARGV  prefix, worker, tokens of the items and their attempts ('' when all are the first), each separated by spaces,
--       then their keys
-- Reply indexes (from 0) of the items that were refused, and the texts of errors met with records
--@include now
--@include memory
local prefix, worker = ARGV[1], ARGV[2]
local records = prefix .. KEY.record
--@include events
--@include entries
--@include fields
--@include quarantine
--@include guard
--@include start
--@include words

local refused, errors = {}, {}

local function put_away_entry(token, problem)
  local id = string.sub(token, 2)
  local entry = redis.call('XRANGE', stream_of(token), id, id)[1]
  if entry then
    local fields = fields_of(entry[2])
    fields[ENTRY.priority] = priority_of(token) or fields[ENTRY.priority]
    put_away(fields, problem)
    remove(token)
  end
end

local tokens, attempts = words_of(ARGV[3]), words_of(ARGV[4])

local function claim(item)
  local key, token = ARGV[item + 4], tokens[item]
  local record_key = records .. key
  if redis.call('HGET', record_key, RECORD.entry) ~= token then
    remove(token)
    redis.call('SREM', prefix .. KEY.superseded, token)
    refused[#refused + 1] = item - 1
  else
    start(record_key, attempts[item] or '1')
    if are_all_heard then
      publish_state(key, redis.call('HGET', record_key, RECORD.generation), 'running')
    end
  end
end

for item = 1, #tokens do
  local problem = problem_of(claim, item)
  if problem and is_forbidden(problem) then
    return redis.error_reply(problem) -- claiming again does no harm
  elseif problem then
    put_away_entry(tokens[item], problem)
    refused[#refused + 1] = item - 1
    errors[#errors + 1] = ARGV[item + 4] .. ': ' .. problem
  end
end
return { refused, errors }
