-- Members of the schedule say what waits: 'k' and the key of a record, or 'l' and the id of an execution that has none
-- beyond its wait, whose message lies apart from the records so that no user's key can meet an id.
local function parked_at(member)
  local name = string.sub(member, 2)
  return prefix .. (string.sub(member, 1, 1) == 'k' and 'run:' or 'parked:') .. name, name
end

-- Schedulers sleep until the head is due; a new head wakes them.
local function wake(schedule, score)
  if tonumber(redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]) == score then
    redis.pcall('PUBLISH', prefix .. 'wake', digits(score))
  end
end
