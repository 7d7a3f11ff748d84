package org.openapitools.jackson.nullable;

/** The part of the library's interface that generated clients use, to compile them without the library. */
public class JsonNullable<T> {
  public static <T> JsonNullable<T> of(T value) {
    throw new UnsupportedOperationException();
  }

  public static <T> JsonNullable<T> undefined() {
    throw new UnsupportedOperationException();
  }

  public T get() {
    throw new UnsupportedOperationException();
  }

  public T orElse(T other) {
    throw new UnsupportedOperationException();
  }

  public boolean isPresent() {
    throw new UnsupportedOperationException();
  }
}
