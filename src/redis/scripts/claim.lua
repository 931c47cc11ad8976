-- Takes ownership of executions that were read and have a record. The record's `e` names the only entry that may be
-- claimed, so an entry that was replaced, settled or given to another worker since it was read is refused and removed.
-- KEYS  work, front
-- ARGV  prefix, worker, then for each item: key, token, attempt
-- Reply indexes (from 0) of the items that were refused
--@include now
--@include memory
local prefix, worker = ARGV[1], ARGV[2]
local runs = prefix .. 'run:'
--@include events
--@include entries

local began = digits(now)
local refused = {}
for at = 3, #ARGV, 3 do
  local key, token, attempt = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local run = runs .. key
  if redis.call('HGET', run, 'e') ~= token then
    remove(token)
    redis.call('SREM', prefix .. 'superseded', token)
    refused[#refused + 1] = (at - 3) / 3
  else
    if attempt == '1' then -- the usual case, one field less
      redis.call('HSET', run, 's', 'running', 'k', worker, 'b', began)
    else
      redis.call('HSET', run, 's', 'running', 'k', worker, 'b', began, 'a', attempt)
    end
    if listened then
      changed(key, redis.call('HGET', run, 'g'), 'running')
    end
  end
end
return refused
