-- Nothing is rolled back when a script meets an error. So items are handled one by one: a record or a limit that docket did
-- not write must not stop the others.

-- Calls `apply` for one item, with up to two arguments. Returns the text of the error that it met, or nil.
local function problem_of(apply, first, second)
  local is_done, problem = pcall(apply, first, second)
  if not is_done then
    return type(problem) == 'table' and problem.err or tostring(problem)
  end
end

-- Whether the text of an error says that this user may not run a command, or not on this key. It says nothing about the item,
-- which must be left as it is.
local function is_forbidden(problem)
  return (string.find(problem, 'executing the script can', 1, true) or string.find(problem, 'NOPERM', 1, true)) ~= nil
end
