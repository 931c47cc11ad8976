-- Starts the chains of automatic tasks that nobody has started, once for the whole fleet: the key is the task's name.
-- A chain that was ended stays so until somebody adds it, or until its policy is another one.
-- KEYS  work, front, schedule
-- ARGV  prefix, '1' when a worker starts, then for each task: name, fingerprint of its policy, due (server ms; '' now),
--         when a pending run is due under a policy that has changed ('' likewise, or ms from now), message
-- Reply names of the tasks that were placed or given another time
--@include now
local prefix, isStarting = ARGV[1], ARGV[2] == '1'
--@include events
--@include entries
--@include moves
--@include generation
--@include place

local automatic, ended = prefix .. 'automatic', prefix .. 'ended'
local changedTasks = {}

for at = 3, #ARGV, 5 do
  local task, fingerprint, message = ARGV[at], ARGV[at + 1], ARGV[at + 4]
  local due = ARGV[at + 2] == '' and now or tonumber(ARGV[at + 2])
  local record = redis.call('HMGET', prefix .. 'run:' .. task, 's', 'z')
  local state, isCancelled = record[1], record[2] == '1'
  local isAlive = state == 'scheduled' or state == 'queued' or state == 'running'
  local known = redis.call('HGET', automatic, task)
  local isNew = known ~= fingerprint
  local hasEnded = redis.call('HEXISTS', ended, task) == 1
  if known and isNew and isStarting and redis.call('ZSCORE', KEYS[3], 'k' .. task) then
    local retimed = ARGV[at + 3] == '' and due or now + ARGV[at + 3]
    redis.call('HSET', prefix .. 'run:' .. task, 'w', digits(retimed))
    schedule_at(KEYS[3], retimed, 'k' .. task)
    changedTasks[#changedTasks + 1] = task
  elseif not isAlive and (isNew and isStarting or not hasEnded) then
    -- The number first, since it takes memory: a full server refuses the whole.
    place(task, task, next_generations(1), due, message)
    changedTasks[#changedTasks + 1] = task
  end
  -- A worker of an older policy, on its repeated look, does not bring back what was ended.
  if isNew and (isStarting or not isAlive and not hasEnded) then
    redis.call('HSET', automatic, task, fingerprint)
    redis.call('HDEL', ended, task)
  elseif hasEnded and isAlive and not isCancelled then
    redis.call('HDEL', ended, task) -- somebody has added it since
  end
end
return changedTasks
