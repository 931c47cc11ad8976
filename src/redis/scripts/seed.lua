-- Starts the chains of automatic tasks that nobody has started, once for the whole fleet. The key is the task's name. A
-- chain that was ended stays so until somebody adds it, or until its policy changes. A pending run that was added with a
-- schedule of its own keeps its time.
-- KEYS  work, front, schedule
-- ARGV  prefix, '1' when a worker starts, '=' and the version of the strikes at which the layout had this partition
--       ('' for any), then for each task: name, fingerprint of its policy, due (see _due.lua), when a pending run is due
--       under a policy that has changed, message, chain, priority
-- Reply names of the tasks that were placed or given another time, and the texts of errors met with records; nothing
--       when the strikes are of another version: the partition may have been removed
--@include now
--@include strikes
local prefix, is_starting = ARGV[1], ARGV[2] == '1'
--@include due
--@include events
--@include entries
--@include moves
--@include generation
--@include place
--@include guard
--@include refusal

if ARGV[3] ~= '' and have_strikes_changed(prefix .. KEY.strikes, string.sub(ARGV[3], 2)) then
  return {}
end
local automatic, ended = prefix .. KEY.automatic, prefix .. KEY.ended
local changed_tasks, errors = {}, {}

local function seed(at)
  local task, fingerprint, message, chain = ARGV[at], ARGV[at + 1], ARGV[at + 4], ARGV[at + 5]
  local record_key, member = prefix .. KEY.record .. task, LETTER.recorded .. task
  local record = redis.call('HMGET', record_key, RECORD.state, RECORD.cancelled, RECORD.chain)
  local state, is_cancelled = record[1], record[2] == '1'
  local seeded = redis.call('HGET', automatic, task)
  local is_new = seeded ~= fingerprint
  local has_ended = redis.call('HEXISTS', ended, task) == 1
  local has_own_schedule = string.find(record[3] or '', '"isOwnSchedule":true', 1, true)
  if seeded and is_new and is_starting and not has_own_schedule and redis.call('ZSCORE', KEYS[3], member) then
    local due = due_time(ARGV[at + 3])
    remember_chain(task, chain, RECORD.due, digits(due))
    schedule_at(KEYS[3], due, member)
    changed_tasks[#changed_tasks + 1] = task
  elseif not is_alive(state) and (is_new and is_starting or not has_ended) then
    -- The number first, since it takes memory: a full server refuses the whole.
    place(task, task, next_generations(1), due_time(ARGV[at + 2]), message, chain, ARGV[at + 6])
    changed_tasks[#changed_tasks + 1] = task
  end
  -- When a worker with an older policy looks again, it does not bring back a chain that was ended.
  if is_new and (is_starting or not is_alive(state) and not has_ended) then
    redis.call('HSET', automatic, task, fingerprint)
    redis.call('HDEL', ended, task)
  elseif has_ended and is_alive(state) and not is_cancelled then
    redis.call('HDEL', ended, task) -- somebody has added it since
  end
end

for at = 4, #ARGV, 7 do
  local problem = problem_of(seed, at)
  if problem and (is_refusal(problem) or is_forbidden(problem)) then
    return redis.error_reply(problem)
  elseif problem then
    errors[#errors + 1] = ARGV[at] .. ': ' .. problem
  end
end
return { changed_tasks, errors }
