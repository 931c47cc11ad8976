-- Takes ownership of executions that were read and have a record. The record names the only entry that may be claimed.
-- An entry that was replaced, settled or redelivered since it was read is refused and removed. One whose record cannot be
-- used is refused and goes into quarantine.
-- KEYS  work, front
-- ARGV  prefix, worker, then for each item: key, token, attempt
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

local refused, errors = {}, {}

local function put_away_entry(token, problem)
  local id = string.sub(token, 2)
  local entry = redis.call('XRANGE', stream_of(token), id, id)[1]
  if entry then
    put_away(fields_of(entry[2]), problem)
    remove(token)
  end
end

local function claim(at)
  local key, token, attempt = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local record_key = records .. key
  if redis.call('HGET', record_key, RECORD.entry) ~= token then
    remove(token)
    redis.call('SREM', prefix .. KEY.superseded, token)
    refused[#refused + 1] = (at - 3) / 3
  else
    start(record_key, attempt)
    if are_all_heard then
      publish_state(key, redis.call('HGET', record_key, RECORD.generation), 'running')
    end
  end
end

for at = 3, #ARGV, 3 do
  local problem = problem_of(claim, at)
  if problem and is_forbidden(problem) then
    return redis.error_reply(problem) -- claiming again does no harm
  elseif problem then
    put_away_entry(ARGV[at + 1], problem)
    refused[#refused + 1] = (at - 3) / 3
    errors[#errors + 1] = ARGV[at] .. ': ' .. problem
  end
end
return { refused, errors }
