set time zone 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = postgres;
set extra_float_digits = 1;
set bytea_output = hex;
-- Long answers are kept as both ends and their length.
create function pg_temp.shorten(answer text) returns text language sql as $$
  select case when length(answer) > 1000 then left(answer, 400) || '...' || length(answer) || '...' || right(answer, 400) else answer end $$;
-- The output of an SQL expression's value, or "!SQLSTATE message".
create function pg_temp.ask(expression text) returns text language plpgsql as $$
declare answer text;
begin
  execute 'select format(''%s'', (' || expression || '))' into answer;
  return pg_temp.shorten(answer);
exception when others then
  return pg_temp.shorten('!' || sqlstate || ' ' || sqlerrm);
end $$;
-- The same, and the error's detail after " | ".
create function pg_temp.ask_detail(expression text) returns text language plpgsql as $$
declare answer text; detail text;
begin
  execute 'select format(''%s'', (' || expression || '))' into answer;
  return pg_temp.shorten(answer);
exception when others then
  get stacked diagnostics detail = pg_exception_detail;
  return '!' || sqlstate || ' ' || sqlerrm || case when detail <> '' then ' | ' || detail else '' end;
end $$;
